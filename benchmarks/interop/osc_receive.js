// npm's `osc`: osc_receive.js PORT. Prints `ready`, then a line a message: its address, and `bone NAME` or `time T`.
const osc = require("osc");

const port = new osc.UDPPort({ localAddress: "127.0.0.1", localPort: Number(process.argv[2]), metadata: true });
const lines = [];
port.on("ready", () => console.log("ready"));
port.on("error", (error) => console.log(`error ${error.message}`));
port.on("message", ({ address, args }) => {
  if (address === "/VMC/Ext/Bone/Pos") lines.push(`bone ${args[0].value}`);
  else if (address === "/VMC/Ext/T") lines.push(`time ${args[0].value}`);
  else lines.push(address);
});
setInterval(() => lines.length && console.log(lines.splice(0).join("\n")), 20);
port.open();
