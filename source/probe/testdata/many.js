// Many connections at once, as many.py.
const tls = require('tls')

const [port, count, name] = process.argv.slice(2)
const connections = []
for (let i = 0; i < count; i++) {
  const connection = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, opened)
  connections.push(connection)
}

let open = 0
function opened() {
  if (++open < count) return
  connections.forEach((connection, number) => console.log(number, connection.localPort))
  process.stdin.on('end', ask).resume()
}

function ask() {
  connections.forEach((connection, number) => {
    connection.write(`GET /ok/${name}/${number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    connection.resume()
  })
}
