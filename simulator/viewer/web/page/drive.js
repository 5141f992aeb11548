// Shows what the server's window shows, and tells it of keys, mouse and gamepad.
const canvas = document.getElementById("window");
const word = document.getElementById("word");
const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const socket = new WebSocket(`${scheme}//${location.host}/drive${location.search}`);
socket.binaryType = "blob";
let keys = new Set();
let told = ""; // why it is over, if the server said so

function say(message) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

socket.onmessage = async ({ data }) => {
  if (typeof data === "string") {
    const said = JSON.parse(data);
    if (said.keys) keys = new Set(said.keys);
    told = said.refused || said.over || told;
    word.textContent = told;
    return;
  }
  const picture = await createImageBitmap(data);
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  picture.close();
  word.textContent = "";
  socket.send("seen");
};
socket.onclose = () => { word.textContent = told || "the server is gone; what was driven so far is kept there"; };

function key(event, down) {
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (!keys.has(name) || (down && (event.ctrlKey || event.altKey || event.metaKey))) return;
  event.preventDefault();
  if (!event.repeat) say({ type: "key", key: name, down });
}
addEventListener("keydown", (event) => key(event, true));
addEventListener("keyup", (event) => key(event, false));
addEventListener("blur", () => say({ type: "blur" }));

// the picture keeps its shape inside the canvas's box
function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = Math.min(box.width / canvas.width, box.height / canvas.height);
  const left = box.left + (box.width - scale * canvas.width) / 2;
  const top = box.top + (box.height - scale * canvas.height) / 2;
  return { x: (event.clientX - left) / (scale * canvas.width), y: (event.clientY - top) / (scale * canvas.height) };
}
function mouse(event, what) {
  say({ type: "mouse", what, button: event.button, held: Boolean(event.buttons & 1), ...place(event) });
}
canvas.addEventListener("mousedown", (event) => mouse(event, "down"));
addEventListener("mouseup", (event) => mouse(event, "up"));
canvas.addEventListener("mousemove", (event) => mouse(event, "move"));
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.deltaY) say({ type: "wheel", steps: event.deltaY < 0 ? 1 : -1 });
}, { passive: false });

// The browser's standard gamepad, in the numbers of SDL's usual one (simulator/viewer/gamepad.py).
const BUTTONS = { 3: 3, 4: 4, 8: 6, 9: 7 };
const before = { axes: {}, buttons: {} };
function pad() {
  const found = navigator.getGamepads().find((one) => one && one.mapping === "standard");
  if (found) {
    const trigger = (n) => 2 * found.buttons[n].value - 1;
    const axes = { 0: found.axes[0], 2: trigger(6), 5: trigger(7) };
    for (const [axis, value] of Object.entries(axes)) {
      // each is told once at first: where it rests
      if (axis in before.axes && Math.abs(value - before.axes[axis]) < 0.005) continue;
      before.axes[axis] = value;
      say({ type: "axis", axis: Number(axis), value });
    }
    for (const [theirs, ours] of Object.entries(BUTTONS)) {
      const down = found.buttons[theirs].pressed;
      if (down === Boolean(before.buttons[theirs])) continue;
      before.buttons[theirs] = down;
      say({ type: "button", button: ours, down });
    }
  }
  requestAnimationFrame(pad);
}
addEventListener("gamepaddisconnected", () => say({ type: "blur" }));
pad();
