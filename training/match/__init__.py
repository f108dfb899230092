"""The parts of the duet_match partner: what it sees, what it predicts, what it plays from, and how it plays.

features    a leader's last second and a follower's body as numbers; the same code trains and runs live
regressors  kernel ridges and a small network: placement and intention from the leader's last second
database    recorded followers as rows: poses, and the features they are found by
player      one live step: plans, search, phase lock, inertialised jumps, feet
"""
