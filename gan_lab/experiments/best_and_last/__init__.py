"""Whether GAN training decays after its best step, by loss, on images."""
