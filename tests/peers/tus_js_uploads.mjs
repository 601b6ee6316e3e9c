// Uploads a file as the order on its standard input says; prints where it was.
import { createReadStream, statSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { Upload } from 'tus-js-client'

const { endpoint, file, headers, metadata, chunkSize } = JSON.parse(await text(process.stdin))
const url = await new Promise((resolve, reject) => {
  const upload = new Upload(createReadStream(file), {
    endpoint,
    headers,
    metadata,
    chunkSize: chunkSize ?? Number.POSITIVE_INFINITY,
    uploadSize: statSync(file).size,
    retryDelays: [0, 100, 100, 100, 100],
    onError: reject,
    onSuccess: () => resolve(upload.url),
  })
  upload.start()
})
console.log(JSON.stringify({ url }))
