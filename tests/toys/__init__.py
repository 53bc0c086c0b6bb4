"""What tests share: small games, models, datasets and stand-ins."""
