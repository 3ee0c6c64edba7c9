"""Results of any kind as one HTML page: read, summed up, drawn, rendered."""
