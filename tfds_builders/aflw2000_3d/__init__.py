"""The data set aflw2000_3d: builder, test, made-up data in its layout."""
