"use strict";
/* The page's own script: the scene, its controls, and a face model of a few components. */

const byId = (id) => document.getElementById(id);
const face = JSON.parse(byId("face").textContent);
const RADIANS = Math.PI / 180;

/* Photograph and 2D landmarks: one square, 1000 units wide, is the frame of the 3D view too. */
function drawPicture() {
  const make = (name, attributes) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  };
  const { href, x, y, width, height } = face.photo;
  const lines = make("g", { id: "lines" });
  for (const style of ["outline", "line"]) {
    for (const { indices, closed, colour } of face.landmark_groups) {
      const points = (closed ? [...indices, indices[0]] : indices).map((i) => face.landmarks_2d[i]);
      lines.append(make("polyline", { class: style, points: points.join(" "), stroke: colour }));
    }
  }
  const size = { width: 1000 * width, height: 1000 * height };
  byId("picture").append(
    make("image", { href, x: 1000 * x, y: 1000 * y, ...size, preserveAspectRatio: "none" }), lines);
}

/* The linear model about the reconstructed face: positions = face + sum of changes times components. */
class LinearFace {
  constructor({ base, components, triangles }) {
    this.count = base.columns;
    this.base = base;
    this.components = components;
    this.changes = face.components.map(() => 0);
    this.geometry = new THREE.BufferGeometry();
    this.geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(3 * this.count), 3));
    const corners = new Uint32Array(triangles.values.length);
    const { columns, values } = triangles;
    for (let i = 0; i < columns; i++) {
      for (let corner = 0; corner < 3; corner++) corners[3 * i + corner] = values[corner * columns + i];
    }
    this.geometry.setIndex(new THREE.BufferAttribute(corners, 1));
    this.decode();
  }

  decode() {
    const { count, base, components } = this;
    const position = this.geometry.attributes.position;
    const active = this.changes.flatMap((change, k) => (change ? [[k, change]] : []));
    for (let axis = 0; axis < 3; axis++) {
      for (let i = 0; i < count; i++) {
        let value = base.values[axis * count + i] * base.scales[axis];
        for (const [k, change] of active) {
          value += change * components.scales[k] * components.values[(3 * k + axis) * count + i];
        }
        position.array[3 * i + axis] = value;
      }
    }
    position.needsUpdate = true;
    this.geometry.computeVertexNormals();
  }
}

function linearLight(bytes) {
  const table = Float32Array.from({ length: 256 }, (_, i) => new THREE.Color(i / 255, 0, 0).convertSRGBToLinear().r);
  const colours = new Float32Array(bytes.values.length);
  for (let axis = 0; axis < 3; axis++) {
    for (let i = 0; i < bytes.columns; i++) colours[3 * i + axis] = table[bytes.values[axis * bytes.columns + i]];
  }
  return new THREE.BufferAttribute(colours, 3);
}

function roundDot() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 64 });
  const pen = canvas.getContext("2d");
  pen.arc(32, 32, 26, 0, 7);
  pen.fillStyle = "#fff";
  pen.fill();
  pen.lineWidth = 10;
  pen.strokeStyle = "#10141c";
  pen.stroke();
  return new THREE.CanvasTexture(canvas);
}

class Stage {
  constructor(arrays) {
    this.renderer = new THREE.WebGLRenderer({ canvas: byId("canvas"), alpha: true, antialias: true });
    this.renderer.outputEncoding = THREE.sRGBEncoding;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.camera = new THREE.OrthographicCamera(-1, 1, 1, -1, 0, 20);
    this.camera.position.z = 10;
    this.linear = new LinearFace(arrays);
    this.scene = new THREE.Scene();
    this.ambient = new THREE.AmbientLight(0xffffff);
    this.headlight = new THREE.DirectionalLight(0xffffff);
    this.headlight.position.set(0.15, 0.3, 1);
    this.scene.add(this.ambient, this.headlight);
    this.addFace(arrays.colours);
    this.addPhoto();
    this.poses = this.makePoses();
    this.view = { ...this.poses.front };
  }

  addFace(colours) {
    const { geometry } = this.linear;
    geometry.setAttribute("color", linearLight(colours));
    geometry.computeBoundingBox();
    this.middle = geometry.boundingBox.getCenter(new THREE.Vector3());
    const side = THREE.DoubleSide;
    this.skin = new THREE.Mesh(geometry, new THREE.MeshPhongMaterial({ vertexColors: true, side, specular: 0x000000 }));
    // The denser the lines, the fainter: those of a large model would hide the face.
    const opacity = Math.min(0.5, 60 / Math.sqrt(geometry.index.count / 3));
    this.wire = new THREE.Mesh(geometry, new THREE.MeshBasicMaterial({ wireframe: true, transparent: true, opacity, color: 0x0a8f8a }));
    this.dots = new THREE.Points(new THREE.BufferGeometry(), new THREE.PointsMaterial({ size: 8, map: roundDot(), alphaTest: 0.4, vertexColors: true }));
    const shades = new Float32Array(3 * 68);
    for (const { indices, colour } of face.landmark_groups) {
      for (const i of indices) new THREE.Color(colour).convertSRGBToLinear().toArray(shades, 3 * i);
    }
    this.dots.geometry.setAttribute("color", new THREE.BufferAttribute(shades, 3));
    this.dots.geometry.setAttribute("position", new THREE.BufferAttribute(new Float32Array(3 * 68), 3));
    for (const part of [this.skin, this.wire, this.dots]) {
      part.matrixAutoUpdate = false;
      part.frustumCulled = false; // bounds would be those of the undeformed face
      this.scene.add(part);
    }
  }

  addPhoto() {
    const { href, x, y, width, height } = face.photo;
    const texture = new THREE.TextureLoader().load(href, () => this.draw());
    texture.encoding = THREE.sRGBEncoding;
    this.photo = new THREE.Mesh(new THREE.PlaneGeometry(2 * width, 2 * height), new THREE.MeshBasicMaterial({ map: texture }));
    this.photo.position.set(2 * x + width - 1, 1 - 2 * y - height, -9);
    this.scene.add(this.photo);
  }

  makePoses() {
    const head = new THREE.Matrix4().makeBasis(...face.rotation_columns.map((c) => new THREE.Vector3(...c)));
    const angles = new THREE.Euler().setFromRotationMatrix(head, "XYZ");
    // The mesh is stored upright and in millimetres; the camera's own matrix carries it to the
    // frame. What is turned is the face in the frame, so that its photo pose lies on the photo.
    this.toFrame = new THREE.Matrix4().makeBasis(...face.matrix_columns.map((c) => new THREE.Vector3(...c)));
    this.upright = head.clone().transpose().multiply(this.toFrame);
    return {
      // `place`: 1 where the photograph has the face, 0 in the middle of the view.
      front: { pitch: 0, yaw: 0, roll: 0, place: 0 },
      photo: { pitch: angles.x, yaw: angles.y, roll: angles.z, place: 1 },
      profile: { pitch: 0, yaw: -90 * RADIANS, roll: 0, place: 0 },
    };
  }

  faceMatrix() {
    const { pitch, yaw, roll, place } = this.view;
    const turn = new THREE.Matrix4().makeRotationFromEuler(new THREE.Euler(pitch, yaw, roll, "XYZ"));
    const matrix = turn.multiply(this.upright);
    const inMiddle = this.middle.clone().applyMatrix4(matrix).negate();
    return matrix.setPosition(inMiddle.lerp(new THREE.Vector3(...face.centre), place));
  }

  draw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.render();
    });
  }

  render() {
    const matrix = this.faceMatrix();
    // Seen without perspective, a shift towards the viewer moves nothing but the depth.
    for (const [part, lift] of [[this.skin, 0], [this.wire, 0.004], [this.dots, 0.05]]) {
      part.matrix.makeTranslation(0, 0, lift).multiply(matrix);
    }
    const { array } = this.linear.geometry.attributes.position;
    const dots = this.dots.geometry.attributes.position;
    face.landmark_vertices.forEach((vertex, i) => {
      for (let axis = 0; axis < 3; axis++) dots.array[3 * i + axis] = array[3 * vertex + axis];
    });
    dots.needsUpdate = true;
    const coloured = byId("colours").checked;
    if (this.skin.material.vertexColors !== coloured) {
      this.skin.material.vertexColors = coloured;
      this.skin.material.needsUpdate = true;
    }
    this.skin.material.color.set(coloured ? 0xffffff : 0xb9aea3);
    // The photograph's colours are lit already: of its own light the mesh gets little.
    this.ambient.intensity = coloured ? 0.8 : 0.28;
    this.headlight.intensity = coloured ? 0.22 : 0.78;
    this.wire.visible = byId("wireframe").checked;
    this.dots.visible = byId("landmarks").checked;
    this.photo.visible = byId("behind").checked;
    this.renderer.render(this.scene, this.camera);
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = byId("canvas");
    if (!width || !height) return;
    this.renderer.setSize(width, height, false);
    const [x, y] = [Math.max(1, width / height), Math.max(1, height / width)];
    Object.assign(this.camera, { left: -x, right: x, top: y, bottom: -y });
    this.camera.updateProjectionMatrix();
    this.dots.material.size = Math.max(5, 0.015 * Math.min(width, height));
    this.render(); // at once: setting the size has cleared the canvas
  }

  turn(yaw, pitch) {
    this.view.yaw += yaw;
    this.view.pitch = Math.min(Math.max(this.view.pitch + pitch, -90 * RADIANS), 90 * RADIANS);
    this.stopMoving();
    this.draw();
  }

  /** Zooms by a factor; the point (x, y), in half widths and heights from the middle, stays. */
  zoom(factor, x = 0, y = 0) {
    const { camera } = this;
    const before = camera.zoom;
    camera.zoom = Math.min(Math.max(before * factor, 0.6), 8);
    camera.position.x += x * camera.right * (1 / before - 1 / camera.zoom);
    camera.position.y += y * camera.top * (1 / before - 1 / camera.zoom);
    camera.updateProjectionMatrix();
    this.draw();
  }

  centre() {
    Object.assign(this.camera, { zoom: 1 });
    this.camera.position.set(0, 0, 10);
    this.camera.updateProjectionMatrix();
    this.draw();
  }

  stopMoving() {
    this.moving = null;
    showPose(null);
  }

  /** Turns to a pose by the shortest way, at once where less motion is preferred. */
  moveTo(name) {
    const from = { ...this.view }, to = { ...this.poses[name] };
    to.yaw += 2 * Math.PI * Math.round((from.yaw - to.yaw) / (2 * Math.PI));
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const move = (this.moving = () => {
      if (this.moving !== move) return;
      const time = still ? 1 : Math.min((performance.now() - begin) / 350, 1);
      const part = time * time * (3 - 2 * time);
      for (const key of Object.keys(to)) this.view[key] = from[key] + part * (to[key] - from[key]);
      this.render();
      if (time < 1) requestAnimationFrame(move);
    });
    move();
    showPose(name);
  }
}

function showPose(name) {
  for (const button of document.querySelectorAll("[data-pose]")) {
    button.setAttribute("aria-pressed", String(button.dataset.pose === name));
  }
}
