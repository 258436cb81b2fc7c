"""Host side: sources, crops, augmentation and the grain pipeline; numpy only."""
