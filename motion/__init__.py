"""The language that training and the live server share: skeletons, poses, clips and the maths on them.

Right-handed, Y up, +Z forward, a character's left is +X. Metres, seconds, radians. Quaternions are xyzw.
Numbers only: no sockets, no torch.
"""
