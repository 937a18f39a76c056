"""Events of Stripe: whether they are genuine, which of them matter, and what they are about, read anew."""
