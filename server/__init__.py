"""The live half: a dancer comes in over the network, a partner goes out. Never imports torch, training or exporters."""
