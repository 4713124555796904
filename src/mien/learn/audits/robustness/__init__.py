"""What light, blur, noise and old prints cost."""
