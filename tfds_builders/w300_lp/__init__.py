"""The data set w300_lp: builder, test, made-up data in its layout."""
