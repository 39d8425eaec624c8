"""GAN and WGAN losses on images, tuned alike and judged on images that chose nothing."""
