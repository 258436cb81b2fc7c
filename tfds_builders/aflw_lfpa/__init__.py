"""The data set aflw_lfpa: builder, test, made-up data in its layout."""
