// A server of the protocol with its own store, under the addresses that a shipper asks; prints its port.
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const server = new Server({ path: '/v1/uploads', datastore: new FileStore({ directory: process.argv[2] }) })
const listening = server.listen({ host: '127.0.0.1', port: 0 }, () => console.log(listening.address().port))
