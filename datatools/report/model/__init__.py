"""What a report shows: frozen numbers and texts, read from disk, ready to draw.

Owns: the types between reading and drawing, one file for each part of the page. Refuses: both.
Texts are as they are in the crawl; drawing makes them safe. Every text is at most as long as it is
shown, with its whole length beside.
"""
