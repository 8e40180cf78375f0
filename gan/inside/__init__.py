"""Looking into a trained generator and its discriminator: numbers that figures are drawn from.

    paths        from one latent, or one class, to another
    directions   the main directions of the latent space
    sensitivity  how much every value of a sample moves with the latent
    scores       what the discriminator says of train, of validation and of fakes

Nothing here knows a modality or a kind of network: what a network must offer is in `gan.protocols`,
the rest is found by looking at its layers.
"""
