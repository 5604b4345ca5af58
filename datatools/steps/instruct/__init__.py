"""Instruction data: question threads found in pages, and the conversations made of them."""
