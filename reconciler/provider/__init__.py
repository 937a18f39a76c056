"""The hand: everything that talks to Stripe, or to a server that speaks its API."""
