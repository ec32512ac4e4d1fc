"""Values and the graph: no input or output, standard library only."""
