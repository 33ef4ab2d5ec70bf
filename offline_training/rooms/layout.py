"""Where things stand: a room's plan, kept free of overlaps by construction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline_training.rooms.appearance import Material, material
from offline_training.rooms.classes import STUFF, UNLABELLED
from offline_training.rooms.collision import Boxes
from offline_training.rooms.draw import Draw
from offline_training.rooms.families import build
from offline_training.rooms.piece import Piece, Support
from offline_training.rooms.shapes import box
from offline_training.rooms.shell import Shell, Span, Wall

Vector = NDArray[np.float64]


@dataclass
class Placed:
    """A piece in the room: turned by `yaw`, then moved to `position` [3]."""

    piece: Piece
    position: Vector
    yaw: float
    look: dict[str, Material]
    carrier: Placed | None = None  # what it stands on, None for the floor
    wall: tuple[Wall, float] | None = None  # the wall behind it and how far along

    def boxes(self) -> Boxes:
        """Its solid parts in the room."""
        return Boxes.of(self.piece.boxes, self.position, self.yaw)

    def to_room(self, local: Vector) -> Vector:
        """Piece-frame points [..., 3] in the room."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        turned: Vector = local @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
        return turned + self.position


class Layout:
    """A room being furnished."""

    def __init__(self, shell: Shell, draw: Draw) -> None:
        self.shell = shell
        self.draw = draw
        self.placed: list[Placed] = []
        self._zones = Boxes()  # kept clear although nothing stands there, as before a door

    @property
    def objects(self) -> list[Placed]:
        """The labelled things, in the order of their instance numbers 1, 2, …"""
        return [p for p in self.placed if p.piece.class_name not in (*STUFF, UNLABELLED)]

    def obstacles(self, without: Placed | None = None, zones: bool = True) -> Boxes:
        """Everything solid that stands here, and the zones that are kept clear."""
        rows = [p.boxes().rows for p in self.placed if p is not without and p.piece.boxes]
        return Boxes(np.concatenate([*([self._zones.rows] if zones else []), *rows]))

    def close(self) -> None:
        """Adds walls, floor and ceiling, once all openings are known."""
        draw = self.draw
        shared = {f"plaster.{i}": material("plaster", draw) for i in range(2)}
        shared["paint.skirting"] = material(draw.pick(("paint", "wood")), draw)
        for wall in self.shell.walls:
            slot = "plaster.1" if draw.chance(0.2) else "plaster.0"
            body = wall.body(slot)
            if body is not None:
                self.placed.append(Placed(body, wall.at(0, 0), wall.yaw, shared))
        ground = material(draw.pick(("wood", "wood", "carpet", "tile", "stone")), draw)
        self.placed.append(Placed(self.shell.slab("floor"), np.zeros(3), 0.0, {"ground": ground}))
        ceiling = self.shell.slab("ceiling")
        if draw.chance(0.2):
            x0, y0, x1, y1 = self.shell.areas[0]
            for x in np.arange(x0 + 0.6, x1 - 0.3, draw.between(0.9, 1.5)):
                deep = draw.between(0.1, 0.2)
                beam = box((x, y0, self.shell.height - deep), (x + 0.12, y1, self.shell.height))
                ceiling.add(beam, "wood.beam")
        self.put(ceiling, np.zeros(3), 0.0)

    def put(
        self,
        piece: Piece,
        position: Vector,
        yaw: float,
        carrier: Placed | None = None,
        wall: tuple[Wall, float] | None = None,
    ) -> Placed:
        slots = sorted({slot for _, slot in piece.parts})
        look = {slot: material(slot.split(".")[0], self.draw) for slot in slots}
        placed = Placed(piece, np.asarray(position, float), yaw, look, carrier, wall)
        self.placed.append(placed)
        return placed

    def _fits(self, piece: Piece, position: Vector, yaw: float, obstacles: Boxes) -> bool:
        low, high = piece.low, piece.high
        if position[2] + high[2] > self.shell.height + 1e-6:
            return False
        c, s = np.cos(yaw), np.sin(yaw)
        corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
        corners = corners @ np.array([[c, -s], [s, c]]).T + position[:2]
        if not self.shell.inside(corners, -0.02).all():
            return False
        return not Boxes.of(piece.boxes, position, yaw).hit(obstacles)

    def keep_clear(self, wall: Wall, s: float, width: float, depth: float) -> None:
        """Keeps furniture away from a stretch of wall, as before a door."""
        bounds = [np.array([[s - width / 2, 0.02, 0.05], [s + width / 2, depth, 1.9]])]
        self._zones = self._zones.with_others(Boxes.of(bounds, wall.at(0, 0), wall.yaw))

    def open_wall(self, piece: Piece, wall: Wall, s: float, z: float, span: Span) -> Placed:
        """Puts a door or a window into a wall and cuts its opening."""
        wall.openings.append(span)
        margin = 0.12
        wall.taken.append((span[0] - margin, span[1] + margin, span[2] - 0.05, span[3] + margin))
        return self.put(piece, wall.at(s, 0, z), wall.yaw, wall=(wall, s))

    def against_wall(self, piece: Piece, walls: list[Wall] | None = None) -> Placed | None:
        """Stands a piece with its back to a wall, often in a corner."""
        low, high = piece.low, piece.high
        half, obstacles = (high[0] - low[0]) / 2, self.obstacles()
        middle = (high[0] + low[0]) / 2
        for _ in range(30):
            wall = self.draw.pick(walls or self.shell.walls)
            gap = 0.015 + self.draw.anything(0, 0.04)
            if wall.length < 2 * half + 0.1:
                continue
            s = self.draw.anything(half + 0.02, wall.length - half - 0.02)
            if self.draw.chance(0.35):
                s = self.draw.pick((half + 0.02, wall.length - half - 0.02))
            span = (s - half, s + half, 0.0, float(high[2]))
            position = wall.at(s - middle, gap - low[1])
            if wall.free(span) and self._fits(piece, position, wall.yaw, obstacles):
                wall.taken.append(span)
                return self.put(piece, position, wall.yaw, wall=(wall, s))
        return None

    def beside(self, piece: Piece, neighbour: Placed, gap: float = 0.0) -> Placed | None:
        """Stands a piece next to one that is at a wall, so that they touch or nearly do."""
        if neighbour.wall is None:
            return None
        wall, s0 = neighbour.wall
        low, high = piece.low, piece.high
        half, obstacles = piece.width / 2, self.obstacles()
        for side in self.draw.shuffled((-1, 1)):
            s = s0 + side * (neighbour.piece.width / 2 + half + gap + 0.003)
            span = (s - half, s + half, 0.0, float(high[2]))
            position = wall.at(s - (high[0] + low[0]) / 2, 0.02 - low[1])
            if wall.free(span, -0.01) and self._fits(piece, position, wall.yaw, obstacles):
                wall.taken.append(span)
                return self.put(piece, position, wall.yaw, wall=(wall, s))
        return None

    def hang(
        self,
        piece: Piece,
        z: float,
        walls: list[Wall] | None = None,
        s: float | None = None,
        away: float = 0.003,
    ) -> Placed | None:
        """Fixes a piece to a wall with its lower edge at z; `s` along the wall if given."""
        low, high = piece.low, piece.high
        half, obstacles = piece.width / 2, self.obstacles()
        middle = (high[0] + low[0]) / 2
        for _ in range(25 if s is None else 1):
            wall = self.draw.pick(walls or self.shell.walls)
            if wall.length < 2 * half + 0.1:
                continue
            along = s if s is not None else self.draw.anything(half, wall.length - half)
            span = (along - half, along + half, z + float(low[2]), z + float(high[2]))
            position = wall.at(along - middle, away - low[1], z)
            if wall.free(span) and self._fits(piece, position, wall.yaw, obstacles):
                wall.taken.append(span)
                return self.put(piece, position, wall.yaw, wall=(wall, along))
        return None

    def on_top(
        self, piece: Piece, carrier: Placed, back: bool = False, spin: float = 0.5
    ) -> Placed | None:
        """Stands a piece on another; `back`: near its rear edge; `spin`: how far it may turn."""
        low, high = piece.low, piece.high
        obstacles = self.obstacles()
        for _ in range(12):
            if not carrier.piece.supports:
                return None
            support = self.draw.pick(carrier.piece.supports)
            spot = self._spot(support, low, high, back)
            if spot is None:
                continue
            yaw = carrier.yaw + self.draw.anything(-spin, spin)
            position = carrier.to_room(spot)
            if high[2] < support.room_above and self._fits(piece, position, yaw, obstacles):
                return self.put(piece, position, yaw, carrier)
        return None

    def _spot(self, support: Support, low: Vector, high: Vector, back: bool) -> Vector | None:
        a = np.asarray(support.low) - low[:2]
        b = np.asarray(support.high) - high[:2]
        if (a > b).any():
            return None
        if back:
            b = np.array([b[0], a[1] + 0.25 * (b[1] - a[1])])
        x, y = (self.draw.anything(float(a[i]), float(b[i])) for i in range(2))
        return np.array([x, y, support.z])

    def at_table(self, chair: Piece, table: Placed, side: float, along: float) -> Placed | None:
        """Pulls up a chair: `side` is the angle around the table, `along` an offset in metres."""
        _low, high = table.piece.low, table.piece.high
        direction = np.array([np.sin(side), np.cos(side)])  # 0: the table's front
        reach = float(np.abs(direction) @ high[:2])
        obstacles = self.obstacles()
        depth = float(chair.high[1])
        for overlap in self.draw.rng.uniform(-0.12, 0.24, 5):
            away = reach + depth - overlap
            local = direction * away + along * np.array([direction[1], -direction[0]])
            position = table.to_room(np.array([local[0], local[1], 0.0]))
            position[2] = 0.0
            yaw = table.yaw + np.pi - side + self.draw.anything(-0.35, 0.35)
            if self._fits(chair, position, yaw, obstacles):
                return self.put(chair, position, yaw)
        return None

    def somewhere(
        self, piece: Piece, near: Placed | None = None, hung: bool = False
    ) -> Placed | None:
        """Stands a piece anywhere on the floor, near another one, or hangs it from the ceiling."""
        obstacles = self.obstacles()
        for _ in range(40):
            x0, y0, x1, y1 = self.draw.pick(self.shell.areas)
            spot = np.array([self.draw.anything(x0, x1), self.draw.anything(y0, y1)])
            if near is not None:
                spot = near.position[:2] + self.draw.normal(0.7, 2)
            z = self.shell.height - 0.001 if hung else 0.0
            yaw = self.draw.pick((0.0, np.pi / 2, np.pi, -np.pi / 2))
            if not hung:
                yaw += self.draw.anything(-0.4, 0.4)
            position = np.append(spot, z)
            if self._fits(piece, position, yaw, obstacles):
                return self.put(piece, position, yaw)
        return None

    def facing(self, piece: Piece, target: Placed, distance: float) -> Placed | None:
        """Stands a piece in front of another, looking back at it."""
        obstacles = self.obstacles()
        for _ in range(12):
            away = float(target.piece.high[1] + piece.high[1]) + distance * self.draw.anything(
                0.8, 1.3
            )
            local = np.array([self.draw.anything(-0.3, 0.3), away, 0.0])
            position = target.to_room(local)
            position[2] = 0.0
            yaw = target.yaw + np.pi + self.draw.anything(-0.15, 0.15)
            if self._fits(piece, position, yaw, obstacles):
                return self.put(piece, position, yaw)
        return None

    def add(self, class_name: str, use: str = "") -> Placed | None:
        """Another thing of a class, standing where such things stand."""
        draw = self.draw
        piece = build(draw, class_name, use)
        if class_name == "picture":
            return self.hang(piece, draw.anything(1.1, 1.5))
        if class_name == "lamp" and use == "ceiling":
            return self.somewhere(piece, hung=True)
        if class_name == "sofa":  # may also stand in the room, with its back to the rest of it
            return self.against_wall(piece) or self.somewhere(piece)
        if class_name in ("bookcase", "cabinet", "bed") or use == "desk":
            return self.against_wall(piece)
        if class_name in ("bin", "box", "plant", "lamp") and draw.chance(0.6):
            return self.against_wall(piece)
        return self.somewhere(piece)

    def rearrange(self, draw: Draw) -> None:
        """Moves what people move: chairs, bins, boxes, floor plants and lamps, things on desks."""
        carriers = {id(p.carrier) for p in self.placed if p.carrier is not None}
        for thing in list(self.placed):
            loose = thing.piece.class_name in ("chair", "bin", "box", "plant", "lamp", UNLABELLED)
            hung = thing.position[2] > 0.01 and thing.carrier is None
            if not loose or hung or id(thing) in carriers or draw.chance(0.25):
                continue
            obstacles = self.obstacles(without=thing)
            reach = 0.15 if thing.carrier is not None else 0.7
            for _ in range(10):
                step = np.append(draw.normal(reach, 2), 0.0)
                yaw = thing.yaw + draw.anything(-0.8, 0.8)
                position = thing.position + step
                if not self._on_carrier(thing, position):
                    continue
                if self._fits(thing.piece, position, yaw, obstacles):
                    thing.position, thing.yaw, thing.wall = position, yaw, None
                    break

    @staticmethod
    def _on_carrier(thing: Placed, position: Vector) -> bool:
        carrier = thing.carrier
        if carrier is None:
            return True
        c, s = np.cos(carrier.yaw), np.sin(carrier.yaw)
        x, y, _ = position - carrier.position
        local = np.array([c * x + s * y, c * y - s * x])
        reach = float(np.abs(np.concatenate([thing.piece.low[:2], thing.piece.high[:2]])).max())
        return any(
            bool((local - reach >= support.low).all() and (local + reach <= support.high).all())
            for support in carrier.piece.supports
            if abs(support.z + carrier.position[2] - thing.position[2]) < 0.01
        )
