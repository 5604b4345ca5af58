"""The verdict: whether one dataset is better to train on than another, and how sure that is."""
