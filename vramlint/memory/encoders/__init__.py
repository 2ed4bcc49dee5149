"""Models that are no decoders alone: encoders under a head (bert, roberta, modernbert …) and encoder-decoders (t5, bart)."""
