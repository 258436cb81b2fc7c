"use strict";
/* Sliders, buttons, pointer and keyboard. */

function makeSliders(stage) {
  // A face whose shape no components make has nothing to be deformed by.
  byId("controls").hidden = face.components.length === 0;
  return face.components.map(({ kind, number, value }, k) => {
    const limit = Math.max(3, Math.ceil(Math.abs(value)));
    const row = Object.assign(document.createElement("div"), { className: "slider" });
    const id = `${kind}-${number}`;
    const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: number });
    const track = Object.assign(document.createElement("span"), { className: "track" });
    const input = Object.assign(document.createElement("input"), { type: "range", id, min: -limit, max: limit, step: 0.05 });
    const output = document.createElement("output");
    output.htmlFor.add(id);
    input.setAttribute("aria-label", `${kind} ${number}`);
    track.style.setProperty("--found", (value + limit) / (2 * limit));
    // The slider has steps and the reconstruction has none: it moves only when the slider does.
    const show = (current) => {
      output.textContent = `${current < 0 ? "−" : "+"}${Math.abs(current).toFixed(2)} σ`;
      input.setAttribute("aria-valuetext", output.textContent);
      stage.linear.changes[k] = current - value;
    };
    input.addEventListener("input", () => {
      show(Number(input.value));
      stage.deformed = true;
      stage.draw();
    });
    track.append(input);
    row.append(label, track, output);
    byId(kind).append(row);
    const reset = () => {
      input.value = value;
      show(value);
    };
    reset();
    return reset;
  });
}

function listenToPointers(stage, canvas) {
  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    pointers.set(event.pointerId, event);
    const other = [...pointers.values()].find((pointer) => pointer.pointerId !== event.pointerId);
    if (other) {
      const distance = (pointer) => Math.hypot(pointer.clientX - other.clientX, pointer.clientY - other.clientY);
      stage.zoom(Math.max(distance(event), 1) / Math.max(distance(before), 1));
      return;
    }
    const perPixel = Math.PI / Math.min(canvas.clientWidth, canvas.clientHeight);
    stage.turn((event.clientX - before.clientX) * perPixel, (event.clientY - before.clientY) * perPixel);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    const x = (2 * (event.clientX - box.left)) / box.width - 1, y = 1 - (2 * (event.clientY - box.top)) / box.height;
    stage.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.04 : 0.0015)), x, y);
  }, { passive: false });
}

function listenToKeys(stage, canvas) {
  const step = 5 * RADIANS;
  const actions = {
    ArrowLeft: () => stage.turn(-step, 0), ArrowRight: () => stage.turn(step, 0),
    ArrowUp: () => stage.turn(0, -step), ArrowDown: () => stage.turn(0, step),
    "+": () => stage.zoom(1.15), "=": () => stage.zoom(1.15), "-": () => stage.zoom(1 / 1.15),
    0: () => { stage.centre(); stage.moveTo("front"); },
  };
  canvas.addEventListener("keydown", (event) => {
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
  });
}

function offerDownload(glb) {
  const url = URL.createObjectURL(new Blob([glb.values], { type: "model/gltf-binary" }));
  Object.assign(byId("download"), { href: url, download: face.file_name });
  byId("download").removeAttribute("aria-disabled");
}

async function start() {
  drawPicture();
  const showLines = () => byId("lines").toggleAttribute("hidden", !byId("landmarks").checked);
  byId("landmarks").addEventListener("change", showLines);
  const arrays = await unpackArrays(byId("payload").textContent, face.arrays);
  offerDownload(arrays.glb);
  const stage = new Stage(arrays);
  const resets = makeSliders(stage);
  const render = stage.render.bind(stage);
  stage.render = () => {
    if (stage.deformed) stage.linear.decode(); // once per frame, however many sliders moved
    stage.deformed = false;
    render();
  };
  for (const button of document.querySelectorAll("[data-pose]")) {
    button.addEventListener("click", () => stage.moveTo(button.dataset.pose));
  }
  for (const box of document.querySelectorAll("#tools input")) {
    box.addEventListener("change", () => stage.draw());
  }
  // A photograph behind the face makes sense where the face lies on it.
  byId("behind").addEventListener("change", (event) => event.target.checked && stage.moveTo("photo"));
  byId("reset").addEventListener("click", () => {
    resets.forEach((reset) => reset());
    stage.deformed = true;
    stage.centre();
    stage.moveTo("front");
  });
  listenToPointers(stage, byId("canvas"));
  listenToKeys(stage, byId("canvas"));
  new ResizeObserver(() => stage.resize()).observe(byId("canvas"));
  stage.resize();
  showPose("front");
  byId("message").textContent = "";
  window.stage = stage; // for the browser's console, and for tests
}

start().catch((error) => {
  byId("message").textContent = `The face cannot be drawn here: ${error.message}`;
});
