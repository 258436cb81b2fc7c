"""The data set umdfaces: builder, test, made-up data in its layout."""
