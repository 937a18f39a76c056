"""What the service does by itself: rounds, notices to a callback URL, recharges, and what is kept for how long."""
