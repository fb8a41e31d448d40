// Gets URLs, and puts a file to those that come after one, as move.py. It begins once its standard input ends.
const https = require('https')
const fs = require('fs')

const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false })

function move(url, file) {
  return new Promise((resolve, reject) => {
    const request = https.request(url, { agent, method: file ? 'PUT' : 'GET' }, answer => answer.resume().on('end', resolve))
    request.on('error', reject)
    if (file) slowly(fs.readFileSync(file), request)
    else request.end()
  })
}

function slowly(bytes, request) {
  if (bytes.length === 0) return request.end()
  request.write(bytes.subarray(0, 256 << 10))
  setTimeout(slowly, 10, bytes.subarray(256 << 10), request)
}

async function main(args) {
  let file
  for (const argument of args) {
    if (argument[0] === '@') {
      file = argument.slice(1)
      continue
    }
    await move(argument, file)
    file = undefined
  }
  agent.destroy()
}

process.stdin.on('end', () => main(process.argv.slice(2))).resume()
