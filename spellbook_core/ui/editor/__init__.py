"""The notebook of one pipeline: its cards, graph, dialogs and what their clicks do."""
