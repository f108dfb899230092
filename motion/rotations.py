"""Rotations as xyzw unit quaternions, matrices and the 6-D form, over any leading batch axes.

Rules: q and -q are one rotation; products read as matrices do, `multiply(a, b)` turns by b first, then by a.
Every function takes and returns numpy arrays whose last axis (or two) is the rotation.
"""

from __future__ import annotations

import numpy as np

from motion.skeleton import Array

IDENTITY: Array = np.array([0.0, 0.0, 0.0, 1.0])
_NEXT, _LAST = np.array([1, 2, 0]), np.array([2, 0, 1])


def normalize(q: Array) -> Array:
    """Unit quaternions (..., 4). A zero or non-finite quaternion becomes the identity."""
    q = np.asarray(q, dtype=np.float64)
    length = np.sqrt(np.vecdot(q, q))[..., None]
    good = np.isfinite(length) & (length > 1e-9)
    if np.count_nonzero(good) == good.size:
        result: Array = q / length
        return result
    return np.where(good, q / np.where(good, length, 1.0), IDENTITY)


def multiply(a: Array, b: Array) -> Array:
    """Hamilton product a·b, (..., 4)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    outer = a[..., :, None] * b[..., None, :]
    product: Array = np.matmul(outer.reshape(*outer.shape[:-2], 16), _PRODUCT)
    return product


def inverse(q: Array) -> Array:
    """The conjugate, which is the inverse of a unit quaternion, (..., 4)."""
    result: Array = np.asarray(q, dtype=np.float64) * np.array([-1.0, -1.0, -1.0, 1.0])
    return result


def rotate(q: Array, vectors: Array) -> Array:
    """Vectors (..., 3) turned by q (..., 4)."""
    q, vectors = np.asarray(q, dtype=np.float64), np.asarray(vectors, dtype=np.float64)
    axis, w = q[..., :3], q[..., 3:]
    twice = 2.0 * cross(axis, vectors)
    return vectors + w * twice + cross(axis, twice)


def cross(a: Array, b: Array) -> Array:
    """The vector product along the last axis, (..., 3): numpy's own takes five times as long for a few vectors."""
    product: Array = a[..., _NEXT] * b[..., _LAST] - a[..., _LAST] * b[..., _NEXT]
    return product


def to_matrix(q: Array) -> Array:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    q = np.asarray(q, dtype=np.float64)
    outer = q[..., :, None] * q[..., None, :]
    result: Array = np.matmul(outer.reshape(*q.shape[:-1], 16), _MATRIX_FROM_OUTER).reshape(*q.shape[:-1], 3, 3)
    return result


def from_matrix(matrices: Array) -> Array:
    """Unit quaternions (..., 4) of rotation matrices (..., 3, 3).

    The matrix determines 4·q⊗q linearly; the row with the largest diagonal entry is q up to its length (Shepperd 1978).
    """
    matrices = np.asarray(matrices, dtype=np.float64)
    return _from_outer(np.matmul(matrices.reshape(*matrices.shape[:-2], 9), _OUTER_FROM_MATRIX))


def from_euler(order: str, angles: Array) -> Array:
    """Quaternions (..., 4) of intrinsic Euler angles in radians (..., len(order)), `order` as BVH lists channels.

    A BVH row `Zrotation Xrotation Yrotation` means R = Rz·Rx·Ry, which is SciPy's upper-case (intrinsic) "ZXY".
    """
    half = 0.5 * np.asarray(angles, dtype=np.float64)
    sines, cosines = np.sin(half), np.cos(half)
    q = np.broadcast_to(IDENTITY, (*half.shape[:-1], 4))
    for place, axis in enumerate(order.upper()):
        turn = np.zeros_like(q)
        turn[..., "XYZ".index(axis)] = sines[..., place]
        turn[..., 3] = cosines[..., place]
        q = multiply(q, turn)
    return q


def to_euler(order: str, q: Array) -> Array:
    """Intrinsic Euler angles in radians (..., 3) of quaternions (..., 4); the inverse of `from_euler`.

    order: three different axes. The middle angle is within a quarter turn; where it is one (gimbal lock), the last
    angle is 0. Raises ValueError for another order.
    """
    return matrix_to_euler(order, to_matrix(q))


def matrix_to_euler(order: str, matrices: Array) -> Array:
    """The same of rotation matrices (..., 3, 3)."""
    if sorted(order.upper()) != ["X", "Y", "Z"]:
        raise ValueError(f"no order {order!r} of Euler angles; it names X, Y and Z once each")
    i, j, k = ("XYZ".index(axis) for axis in order.upper())
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    m = np.moveaxis(np.asarray(matrices, dtype=np.float64), (-2, -1), (0, 1))
    level = np.hypot(m[i, i], m[i, j])
    locked = level < 1e-9
    first = np.arctan2(np.where(locked, sign * m[k, j], -sign * m[j, k]), np.where(locked, m[j, j], m[k, k]))
    middle = np.arctan2(sign * m[i, k], level)
    last = np.where(locked, 0.0, np.arctan2(-sign * m[i, j], m[i, i]))
    return np.stack([first, middle, last], axis=-1)


def to_6d(q: Array) -> Array:
    """The first two columns of the matrix, (..., 6): x axis then y axis (Zhou et al. 2019)."""
    matrices = to_matrix(q)
    return np.concatenate([matrices[..., :, 0], matrices[..., :, 1]], axis=-1)


def from_6d(sixd: Array) -> Array:
    """Quaternions (..., 4) of 6-D rotations (..., 6), by Gram-Schmidt (Zhou et al. 2019)."""
    sixd = np.asarray(sixd, dtype=np.float64)
    x, y = sixd[..., :3], sixd[..., 3:]
    x = x / _length(x)
    y = y - np.vecdot(x, y)[..., None] * x
    y = y / _length(y)
    products = x[..., :, None] * y[..., None, :]  # their antisymmetric part is the z axis
    axes = np.concatenate([x, y, products.reshape(*x.shape[:-1], 9)], axis=-1)
    return _from_outer(np.matmul(axes, _OUTER_FROM_AXES))


def to_vector(q: Array) -> Array:
    """Rotation vectors (..., 3), radians along the axis, of unit quaternions (..., 4), the short way round."""
    q = np.asarray(q, dtype=np.float64)
    q = np.where(q[..., 3:] < 0.0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angles = 2.0 * np.arctan2(sine, q[..., 3:])
    return np.asarray(q[..., :3] * np.where(sine > 1e-9, angles / np.maximum(sine, 1e-9), 2.0))


def from_vector(vectors: Array) -> Array:
    """Quaternions (..., 4) of rotation vectors (..., 3); the inverse of `to_vector` within half a turn."""
    vectors = np.asarray(vectors, dtype=np.float64)
    half = 0.5 * np.sqrt(np.vecdot(vectors, vectors))[..., None]
    return np.concatenate([0.5 * np.sinc(half / np.pi) * vectors, np.cos(half)], axis=-1)


def angle(a: Array, b: Array) -> Array:
    """Angle between two rotations, radians in [0, pi], (...)."""
    difference = multiply(inverse(a), b)
    result: Array = 2.0 * np.arctan2(np.linalg.norm(difference[..., :3], axis=-1), np.abs(difference[..., 3]))
    return result


def continuous(q: Array) -> Array:
    """The same rotations (T, ..., 4) with signs flipped so that neighbours along axis 0 lie in one hemisphere."""
    q = np.array(q, dtype=np.float64)
    if len(q) > 1:
        flips = np.where(np.sum(q[1:] * q[:-1], axis=-1) < 0.0, -1.0, 1.0)
        q[1:] *= np.cumprod(flips, axis=0)[..., None]
    return q


def slerp(a: Array, b: Array, t: Array | float) -> Array:
    """Shortest-path spherical interpolation from a (t = 0) to b (t = 1), (..., 4); t broadcasts over (...)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    weight = np.asarray(t, dtype=np.float64)[..., None]
    cosine = np.sum(a * b, axis=-1, keepdims=True)
    b = np.where(cosine < 0.0, -b, b)
    cosine = np.clip(np.abs(cosine), 0.0, 1.0)
    theta = np.arccos(cosine)
    sine = np.sin(theta)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    weight_a = np.where(near, 1.0 - weight, np.sin((1.0 - weight) * theta) / safe)
    weight_b = np.where(near, weight, np.sin(weight * theta) / safe)
    return normalize(weight_a * a + weight_b * b)


def nlerp(a: Array, b: Array, t: Array | float) -> Array:
    """As `slerp`, on the same way, with a little less than its even pace: half as dear."""
    weight = np.asarray(t, dtype=np.float64)[..., None]
    b = np.where(np.vecdot(a, b)[..., None] < 0.0, -b, b)
    return normalize(a + weight * (b - a))


def between(a: Array, b: Array) -> Array:
    """The shortest rotation (..., 4) that turns direction a (..., 3) into direction b (..., 3)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    a, b = a / _length(a), b / _length(b)
    cosine = np.vecdot(a, b)[..., None]
    q = np.concatenate([cross(a, b), 1.0 + cosine], axis=-1)
    opposite = cosine < -1.0 + 1e-9
    if np.count_nonzero(opposite):  # any axis across a serves
        other_axis = np.where(np.abs(a[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        q = np.where(opposite, np.concatenate([cross(a, other_axis), np.zeros_like(cosine)], axis=-1), q)
    return normalize(q)


def yaw(angles: Array | float) -> Array:
    """Rotations about +Y (..., 4) by angles in radians (...). Yaw 0 faces +Z, yaw pi/2 faces +X."""
    half = 0.5 * np.asarray(angles, dtype=np.float64)
    zero = np.zeros_like(half)
    return np.stack([zero, np.sin(half), zero, np.cos(half)], axis=-1)


def _product() -> Array:
    """(16, 4): the linear map from a⊗b to a·b, both xyzw."""
    x, y, z, w = 0, 1, 2, 3
    terms = {
        x: [(w, x, 1), (x, w, 1), (y, z, 1), (z, y, -1)],
        y: [(w, y, 1), (x, z, -1), (y, w, 1), (z, x, 1)],
        z: [(w, z, 1), (x, y, 1), (y, x, -1), (z, w, 1)],
        w: [(w, w, 1), (x, x, -1), (y, y, -1), (z, z, -1)],
    }
    table = np.zeros((4, 4, 4))
    for component, products in terms.items():
        for i, j, sign in products:
            table[i, j, component] = sign
    return table.reshape(16, 4)


_PRODUCT = _product()


def _from_outer(outer: Array) -> Array:
    """Unit quaternions (..., 4) of 4·q⊗q less the identity, flat (..., 16)."""
    rows = outer.reshape(-1, 4, 4) + _EYE4
    largest = rows[:, _DIAGONAL, _DIAGONAL].argmax(axis=-1)
    rows = rows[np.arange(len(rows)), largest]
    q: Array = rows / np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    return q.reshape(*outer.shape[:-1], 4)


def _length(vectors: Array) -> Array:
    """(..., 1), never zero."""
    lengths: Array = np.sqrt(np.vecdot(vectors, vectors))[..., None]
    return np.maximum(lengths, 1e-12)


def _matrix_from_outer() -> Array:
    """(16, 9): the linear map from q⊗q (xyzw) to the rotation matrix, for unit q."""
    x, y, z, w = 0, 1, 2, 3
    entries: dict[tuple[int, int], list[tuple[int, int, float]]] = {
        (0, 0): [(x, x, 1), (y, y, -1), (z, z, -1), (w, w, 1)],
        (0, 1): [(x, y, 2), (z, w, -2)],
        (0, 2): [(x, z, 2), (y, w, 2)],
        (1, 0): [(x, y, 2), (z, w, 2)],
        (1, 1): [(x, x, -1), (y, y, 1), (z, z, -1), (w, w, 1)],
        (1, 2): [(y, z, 2), (x, w, -2)],
        (2, 0): [(x, z, 2), (y, w, -2)],
        (2, 1): [(y, z, 2), (x, w, 2)],
        (2, 2): [(x, x, -1), (y, y, -1), (z, z, 1), (w, w, 1)],
    }
    table = np.zeros((16, 9))
    for (row, column), terms in entries.items():
        for i, j, value in terms:
            table[i * 4 + j, row * 3 + column] += value
    return table


def _outer_of_entry(entry: int) -> Array:
    """(16,): how one matrix entry adds to 4·q⊗q."""
    row, column = divmod(entry, 3)
    outer = np.zeros((4, 4))
    if row == column:
        outer[_DIAGONAL, _DIAGONAL] = -1.0
        outer[row, row] = outer[3, 3] = 1.0
    else:
        outer[row, column] = outer[column, row] = 1.0
        third = 3 - row - column
        # m[2,1] - m[1,2] = 4·x·w, and cyclic
        sign = 1.0 if (row - column) % 3 == 1 else -1.0
        outer[third, 3] = outer[3, third] = sign
    return outer.ravel()


def _outer_from_axes() -> Array:
    """(15, 16): the same from a matrix's first two columns and their nine products, x × y being the third column."""
    columns = _OUTER_FROM_MATRIX.reshape(3, 3, 16)  # row, column of the matrix
    x, y, z = columns[:, 0], columns[:, 1], columns[:, 2]
    cross = np.zeros((3, 3, 3))  # x_i·y_j to z_k
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        cross[i, j, k], cross[j, i, k] = 1.0, -1.0
    return np.concatenate([x, y, cross.reshape(9, 3) @ z])


_DIAGONAL = np.arange(4)
_MATRIX_FROM_OUTER = _matrix_from_outer()
# The inverse map, without its constant part: 4·q⊗q = m·_OUTER_FROM_MATRIX + identity, for unit q.
_OUTER_FROM_MATRIX = np.stack([_outer_of_entry(entry) for entry in range(9)])
_EYE4 = np.eye(4)
_OUTER_FROM_AXES = _outer_from_axes()
