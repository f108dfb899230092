// three-vrm in headless Chromium: three_vrm.js SCRATCH PORT CHROMIUM. npm's `osc` reads VMC on PORT, a WebSocket takes
// every whole frame to the page, the page poses SCRATCH/avatar.vrm and says where the bones are in the world.
// Prints `ready`, then `joints N TIME {name: [x, y, z]}` a frame; at the end of standard input a picture: three_vrm.png.
const fs = require("fs");
const http = require("http");
const path = require("path");
const osc = require("osc");
const { WebSocketServer } = require("ws");
const { chromium } = require("playwright-core");

const [scratch, port, browserPath] = process.argv.slice(2); // the folder with node_modules and avatar.vrm

const page = `<!doctype html><body style="margin:0"><script type="importmap">{"imports": {
  "three": "/node_modules/three/build/three.module.js", "three/addons/": "/node_modules/three/examples/jsm/",
  "@pixiv/three-vrm": "/node_modules/@pixiv/three-vrm/lib/three-vrm.module.js"}}</script><script type="module">
import * as THREE from "three";
import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { VRMLoaderPlugin } from "@pixiv/three-vrm";

const loader = new GLTFLoader();
loader.register((parser) => new VRMLoaderPlugin(parser));
const { vrm } = (await loader.loadAsync("/avatar.vrm")).userData;
const scene = new THREE.Scene();
scene.background = new THREE.Color(0x202830);
scene.add(vrm.scene, new THREE.HemisphereLight(0xffffff, 0x444444, 3), new THREE.GridHelper(10, 20));
const camera = new THREE.PerspectiveCamera(35, 1, 0.1, 50);
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
renderer.setSize(640, 640);
document.body.appendChild(renderer.domElement);

const place = new THREE.Vector3();
const socket = new WebSocket("ws://" + location.host);
socket.onopen = () => socket.send("ready");
socket.onmessage = ({ data }) => {
  const { number, time, bones } = JSON.parse(data);
  for (const [name, p, q] of bones) {
    const node = vrm.humanoid.getNormalizedBoneNode(name);
    node.quaternion.set(q[0], -q[1], -q[2], q[3]);
    if (name === "hips") node.position.set(-p[0], p[1], p[2]);
  }
  vrm.update(0);
  vrm.scene.updateMatrixWorld(true);
  const joints = {};
  for (const [name] of bones) {
    vrm.humanoid.getRawBoneNode(name).getWorldPosition(place);
    joints[name] = place.toArray();
  }
  socket.send("joints " + number + " " + time + " " + JSON.stringify(joints));
};
window.draw = () => {
  vrm.humanoid.getRawBoneNode("hips").getWorldPosition(place);
  camera.position.set(place.x, 1.2, place.z + 3.5);
  camera.lookAt(place.x, 0.9, place.z);
  renderer.render(scene, camera);
};
</script>`;

async function main() {
  const server = http.createServer((request, response) => {
    if (request.url === "/") return response.setHeader("Content-Type", "text/html").end(page);
    const file = path.normalize(path.join(scratch, decodeURI(request.url)));
    if (!file.startsWith(path.normalize(scratch)) || !fs.existsSync(file)) return response.writeHead(404).end();
    response.setHeader("Content-Type", file.endsWith(".js") ? "text/javascript" : "application/octet-stream");
    response.end(fs.readFileSync(file));
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const sockets = new WebSocketServer({ server });
  const browser = await chromium.launch({
    executablePath: browserPath,
    args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
  });
  const tab = await browser.newPage({ viewport: { width: 640, height: 640 } });
  tab.on("pageerror", (error) => console.log(`error ${error.message}`));
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => console.log(String(data)));
    let bones = [];
    let number = 0;
    const udp = new osc.UDPPort({ localAddress: "127.0.0.1", localPort: Number(port) });
    udp.on("message", ({ address, args }) => {
      if (address === "/VMC/Ext/Bone/Pos") {
        const name = args[0][0].toLowerCase() + args[0].slice(1);
        bones.push([name, args.slice(1, 4), args.slice(4, 8)]);
      } else if (address === "/VMC/Ext/T" && bones.length) {
        number += 1;
        socket.send(JSON.stringify({ number, time: args[0], bones }));
        bones = [];
      }
    });
    udp.open();
  });
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  process.stdin.resume();
  process.stdin.on("end", async () => {
    await tab.evaluate(() => window.draw());
    await tab.screenshot({ path: path.join(scratch, "three_vrm.png") });
    await browser.close();
    process.exit(0);
  });
}

main();
