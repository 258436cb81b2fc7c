"""From a photograph to landmarks, pose and mesh."""
