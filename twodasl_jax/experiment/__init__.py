"""From a config to an experiment: what several modes share."""
