/* Load, fork, unload: the one place that names every room. */
