"""What keeps the service observed: health, metrics, logs."""
