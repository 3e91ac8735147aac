"""What happened since a model was trained: events, items, sends, and the answers that know them."""
