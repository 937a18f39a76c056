"""Where a refusal leads: a page of the service on which the refused tenant buys what the refusal names."""
