"""One module per way of keeping a value; `registry` chooses."""
