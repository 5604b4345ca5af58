"""Chat templates: from messages to text and a loss mask, safely."""
