// Uploads a file with tus-js-client: node upload.js ENDPOINT TOKEN FILE NAME
// Prints "sent BYTES" as it goes, then "done URL".
const fs = require("node:fs");
const { Upload } = require("tus-js-client");

const [endpoint, token, file, filename] = process.argv.slice(2);

new Upload(fs.createReadStream(file), {
  endpoint,
  uploadSize: fs.statSync(file).size,
  chunkSize: 1 << 20,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename, filetype: "video/mp4" },
  retryDelays: Array(200).fill(500),
  onChunkComplete: (_, sent) => console.log(`sent ${sent}`),
  onSuccess() {
    console.log(`done ${this.url ?? ""}`);
  },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
}).start();
