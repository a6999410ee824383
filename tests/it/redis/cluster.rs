//! Several Redis as one cluster.

use super::{Options, Redis, wait};

impl Redis {
    /// A second node of a cluster, which has all that the first has.
    pub(crate) fn replica_in_cluster_of(primary: &Redis) -> Self {
        let replica = Self::with(Options::node);
        let port = primary.port.to_string();
        let bus = primary.bus();
        let _: String = replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        let id: String = primary.ask(&["CLUSTER", "MYID"]);
        wait("the nodes to meet", || {
            let nodes: String = replica.ask(&["CLUSTER", "NODES"]);
            let line = nodes.lines().find(|line| line.contains(&id));
            line.is_some_and(|line| line.contains(" master ") && line.contains("0-16383"))
        });
        let _: String = replica.ask(&["CLUSTER", "REPLICATE", &id]);
        replica.wait_for_primary();
        replica
    }

    /// A cluster of three primaries, each of which has a third of the slots.
    pub(crate) fn cluster_of_three() -> [Self; 3] {
        let nodes = std::array::from_fn(|_| Self::with(Options::node));
        let all: &[Self; 3] = &nodes;
        let [first, others @ ..] = all;
        for (node, slots) in all.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let (from, to) = slots.split_once(' ').unwrap();
            let _: String = node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
        }
        for node in others {
            let port = node.port.to_string();
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, node.bus()];
            let _: String = first.ask(&meet);
        }
        for node in all {
            wait("all nodes to know each other", || {
                let info: String = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            });
        }
        nodes
    }

    fn bus(&self) -> &str {
        self.options.arguments.last().unwrap()
    }

    /// The id by which the other nodes of a cluster know it.
    pub(crate) fn node_id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"])
    }

    pub(super) fn wait_for_cluster(&self) {
        wait("the cluster to be whole", || {
            let info: String = self.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
        });
    }
}
