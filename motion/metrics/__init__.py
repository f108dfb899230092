"""Quality figures of dance, exactly as their papers define them; each function names its source.

One figure alone can be gamed: a random real clip wins FID_k, a mirrored leader scores a BED of 1, smoothing wins
jitter. Read quality (distributions, physics), reactivity (beats, lag, sensitivity) and placement together, beside naive
partners.

  joints          the 24 points and the windows that everything is measured on
  window_features kinetic, manual and cross-distance features of a window
  distributions   Fréchet distances, diversity, and the floor truth scores against itself
  placement       root ADE, MPJPE, teleports, lag, leader sensitivity
  physics         skating, PFC, jitter, sliding
  beats           BED
"""
