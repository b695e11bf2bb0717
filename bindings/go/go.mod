module xent

go 1.18
