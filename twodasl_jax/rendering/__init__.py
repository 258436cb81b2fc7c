"""The 3DMM renderer: rasterise, shade, composite; and the landmark map."""
