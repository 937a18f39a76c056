"""From what an account holds to files that say the same: pure, and proven by reading the files back."""
