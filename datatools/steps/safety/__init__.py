"""What must not be learned: personal data, secrets, and pages that nobody wants."""
