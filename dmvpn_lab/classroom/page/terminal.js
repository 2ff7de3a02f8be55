// One terminal on a websocket: a learner types into it, an instructor only looks.
import { Terminal } from "/vendor/xterm.mjs";
import { FitAddon } from "/vendor/addon-fit.mjs";

const THEME = { background: "#1f2328", foreground: "#e6edf3", cursor: "#e6edf3" };

export function open(place, path, { looks = false, ended = () => {} } = {}) {
  const terminal = new Terminal({ cursorBlink: !looks, disableStdin: looks, fontSize: 14, scrollback: 5000, theme: THEME });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(place);
  const line = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);
  line.binaryType = "arraybuffer";
  const encoder = new TextEncoder();
  const send = (what) => line.readyState === WebSocket.OPEN && line.send(what);
  const tellSize = () => {
    if (looks || !place.offsetWidth) return;
    fit.fit();
    send(JSON.stringify({ rows: terminal.rows, columns: terminal.cols }));
  };
  line.addEventListener("open", tellSize);
  line.addEventListener("message", ({ data }) => {
    if (data instanceof ArrayBuffer) terminal.write(new Uint8Array(data));
    else if (looks) {
      const size = JSON.parse(data);
      terminal.resize(size.columns, size.rows);
    }
  });
  line.addEventListener("close", () => {
    terminal.write("\r\n\x1b[2m(closed)\x1b[0m\r\n");
    watcher.disconnect();
    ended();
  });
  if (!looks) {
    terminal.onData((keys) => send(encoder.encode(keys)));
    terminal.onBinary((keys) => send(Uint8Array.from(keys, (key) => key.charCodeAt(0))));
  }
  const watcher = new ResizeObserver(tellSize);
  watcher.observe(place);
  return {
    focus: () => terminal.focus(),
    close: () => {
      line.close();
      terminal.dispose();
    },
  };
}
