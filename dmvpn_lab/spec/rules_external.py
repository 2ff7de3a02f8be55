"""What a router that is not ours must satisfy: one function a rule."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template

from dmvpn_lab.errors import Problem
from dmvpn_lab.spec import external
from dmvpn_lab.spec.load import Document, Path_
from dmvpn_lab.spec.model import Cloud, Dhcp, Lab, Node

IOS_PROTOCOLS = ("eigrp", "ospf", "bgp", "none")


def both_or_none(lab: Lab, document: Document) -> Iterator[Problem]:
    """`implementation: external` and the section `external` belong together."""
    for name, node in lab.nodes.items():
        if node.implementation == "external" and node.external is None:
            path = ("nodes", name, "external")
            yield document.problem(path, "this key is missing", hint="such as `external: {image: IMAGE}`")
        if node.implementation != "external" and node.external is not None:
            path = ("nodes", name, "external")
            yield document.problem(path, "not used", hint="add `implementation: external`")


def its_address_is_static(lab: Lab, document: Document) -> Iterator[Problem]:
    """A lease goes to the MAC address that the program gives a node; another's is its own."""
    for name, node in _externals(lab):
        if isinstance(node.nbma, Dhcp):
            path = ("nodes", name, "nbma")
            hint = f"write `nbma: {node.nbma.dhcp}`"
            yield document.problem(path, "an external router's NBMA address must be static", hint=hint)


def its_startup_is_used(lab: Lab, document: Document) -> Iterator[Problem]:
    """Keys of a startup configuration have an effect."""
    for name, node in _externals(lab):
        told, here = node.external, ("nodes", name, "external")
        assert told is not None
        startup = external.startup_of(told)
        if startup == external.NONE and told.startup_path is not None:
            yield document.problem((*here, "startup-path"), "not used without a startup configuration")
        elif startup != external.NONE and told.kind == "linux" and told.startup_path is None:
            hint = "the kind `linux` reads none: say where it is mounted, such as /etc/startup.conf"
            yield document.problem((*here, "startup-path"), "this key is missing", hint=hint)
        if startup == external.IOS:
            for key, known in zip(("nbma", "lan"), external.interfaces_of(told), strict=True):
                if known is None and (key == "nbma" or node.lan is not None):
                    hint = f"what the router calls it; known for {', '.join(external.IOS_KINDS)}"
                    yield document.problem((*here, f"{key}-interface"), "this key is missing", hint=hint)


def its_texts_are_templates(lab: Lab, document: Document) -> Iterator[Problem]:
    """Every `$NAME` is known; a dollar sign is `$$`."""
    for name, node in _externals(lab):
        told, here = node.external, ("nodes", name, "external")
        assert told is not None
        texts: list[tuple[Path_, str]] = [((*here, "exec", i), text) for i, text in enumerate(told.exec)]
        texts.append(((*here, "startup-config"), external.startup_of(told)))
        for path, text in texts:
            template = Template(text)
            unknown = set(template.get_identifiers()) - external.VARIABLES
            if not template.is_valid():
                yield document.problem(path, "a `$` that names nothing", hint="write `$$` for a dollar sign")
            elif unknown:
                known = ", ".join(sorted(external.VARIABLES))
                yield document.problem(path, f"no value ${min(unknown)}", expected=known)


def its_clouds_can_be_joined(lab: Lab, document: Document) -> Iterator[Problem]:
    """What the program makes for a router, or asks of it, another one may not know."""
    for name, node in _externals(lab):
        assert node.external is not None
        ios = external.startup_of(node.external) == external.IOS
        for cloud, member in node.clouds.items():
            settings = lab.clouds.get(cloud)
            if settings is None:
                continue
            path = ("nodes", name, "clouds", cloud)
            if settings.ipsec is not None and settings.ipsec.authentication != "pre-shared-key":
                hint = f"{settings.ipsec.authentication} are made for our own routers"
                yield document.problem(path, "an external router needs `pre-shared-key`", hint=hint)
            if ios and (why := _not_in_ios(settings, member.role)):
                yield document.problem(path, f"not rendered for IOS: {why}", hint="give the text itself")


def _not_in_ios(cloud: Cloud, role: str) -> str | None:
    """What a cloud asks that IOS has not, or has otherwise."""
    routing, ipsec = cloud.routing, cloud.ipsec
    if routing.protocol not in IOS_PROTOCOLS:
        return f"routing protocol {routing.protocol}"
    if routing.authentication == "hmac-sha-256":
        return "EIGRP's HMAC-SHA-256, which IOS has in named mode only"
    if routing.metrics == "wide":
        return "EIGRP's wide metrics, which IOS has in named mode only"
    if routing.redistribute or routing.leak:
        return "EIGRP's redistribution and leak maps"
    if routing.protocol == "bgp" and role == "hub" and routing.spoke_asn not in (None, routing.asn):
        return "a hub that writes its AS over its spokes' (as-override)"
    if ipsec is not None and ipsec.ike == 2 and ipsec.transform_set in ("esp-gcm", "esp-gcm 128"):
        return "esp-gcm 128 with IKEv2, whose key exchange is x25519; esp-gcm 256 and esp-aes have others"
    return None


def _externals(lab: Lab) -> Iterator[tuple[str, Node]]:
    for name, node in lab.nodes.items():
        if node.external is not None:
            yield name, node


ALL = (
    both_or_none,
    its_address_is_static,
    its_startup_is_used,
    its_texts_are_templates,
    its_clouds_can_be_joined,
)
