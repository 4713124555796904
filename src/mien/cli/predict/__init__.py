"""Commands that answer: photos, videos, archives, the service, and what is installed."""
