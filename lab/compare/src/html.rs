//! The report to look at: one HTML file that needs no network, made from a [`Document`] alone.

mod axis;
mod chart;
mod look;
mod sections;
pub(crate) mod timeline;
mod timeline_charts;

use std::fmt::Write as _;

use harness::page::{self, escape};

use crate::document::Document;

use chart::Cast;

/// What the charts look like, beside the page's own style.
const STYLE: &str = "\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:1rem;margin:1rem 0}\
.charts.wide{grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr))}\
.chart{margin:0;background:var(--panel);border:1px solid var(--rule);border-radius:6px;padding:.6rem .6rem .3rem;min-width:0}\
.chart svg{width:100%;height:auto;overflow:visible}.chart text{font-size:11px;fill:var(--ink)}\
.chart figcaption{font-size:.9rem;font-weight:600;color:var(--ink)}\
.chart .faint{fill:var(--faint)}.chart .x{text-anchor:middle}.chart .y,.chart .name{text-anchor:end}\
.rule{stroke:var(--rule);stroke-width:1;fill:none}.line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}\
.mark{fill:var(--c);stroke:var(--c);stroke-width:1.4}.whisker{stroke:var(--c);stroke-width:3;opacity:.35;fill:none}\
.whisker.ink{stroke:var(--ink);stroke-width:2;opacity:.6}.bar{fill:var(--c);opacity:.85}.hit{fill:transparent}\
body .p:hover .mark{stroke:var(--ink);stroke-width:2.4}.p:hover .bar{opacity:1}\
.legend{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:.15rem .9rem;margin:1.5rem 0 0;padding:.5rem 0;\
background:var(--paper);border:0;border-bottom:1px solid var(--rule);font-size:.9rem;min-width:0}\
.legend legend{float:left;padding:0;color:var(--faint)}.legend label{display:inline-flex;align-items:center;gap:.3rem;cursor:pointer}\
.legend svg{width:26px;height:14px;flex:none}.legend input{margin:0;accent-color:var(--faint)}\
.legend label:has(input:not(:checked)){color:var(--faint);text-decoration:line-through}\
section{scroll-margin-top:4rem}nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem}a{color:var(--blue)}\
ul{padding-left:1.2rem;max-width:56rem}li{margin:.25rem 0}summary{cursor:pointer;color:var(--faint);margin:.4rem 0}\
.lead{font-size:1.05rem}.matrix .best{font-weight:700}.matrix .tied{font-style:italic}\
.matrix th{white-space:normal;vertical-align:bottom}.matrix th,.matrix td{padding:.25rem .4rem}.matrix tbody th{white-space:nowrap}\
.matrix th:first-child{position:sticky;left:0;background:var(--panel)}sup{line-height:0}.warning{border-left:4px solid var(--red);padding:.2rem .8rem;margin:1rem 0}\
.facts{display:grid;grid-template-columns:minmax(8rem,max-content) minmax(0,1fr);gap:.2rem 1rem;max-width:none}\
.facts dd{margin:0;overflow-wrap:anywhere}code{overflow-wrap:anywhere}\
#tip{position:fixed;z-index:2;pointer-events:none;max-width:min(24rem,90vw);background:var(--ink);color:var(--paper);\
padding:.25rem .5rem;border-radius:4px;font-size:.85rem}\
@media(min-width:62rem){.wide .chart text{font-size:8.5px}.wide .line,.wide .mark{stroke-width:1.3}}\
@media print{.legend{position:static}.legend input,nav,#tip{display:none}.charts,.charts.wide{grid-template-columns:1fr 1fr}}";

/// What style sheets cannot do: a readout at once instead of a `<title>` after a while, and
/// printing what is folded.
const SCRIPT: &str = "\
'use strict';const tip=document.getElementById('tip');\
for(const p of document.querySelectorAll('.p')){const t=p.querySelector('title');p.dataset.tip=t.textContent;\
p.setAttribute('aria-label',t.textContent);t.remove()}\
for(const t of document.querySelectorAll('.chart svg>title'))t.remove();\
document.addEventListener('pointerover',e=>{const p=e.target.closest?.('.p');tip.hidden=!p;if(!p)return;\
tip.textContent=p.dataset.tip;const r=(p.querySelector('.mark,.bar')).getBoundingClientRect();\
tip.style.left=Math.max(8,Math.min(r.right+8,innerWidth-tip.offsetWidth-8))+'px';\
tip.style.top=Math.max(8,r.top-tip.offsetHeight-8)+'px'});\
addEventListener('scroll',()=>{tip.hidden=true},{passive:true});\
addEventListener('beforeprint',()=>{for(const d of document.querySelectorAll('details'))d.open=true});";

/// The whole report.
pub fn html(document: &Document) -> String {
    let cast = Cast::of(document);
    let mut body = format!("<style>{STYLE}{}</style>\n", look::css(&cast.looks));
    sections::opening(&mut body, document);
    legend(&mut body, &cast);
    for scenario in document.scenarios() {
        sections::scenario(&mut body, document, &cast, scenario);
    }
    if let Some(baseline) = &document.baseline {
        sections::baseline(&mut body, baseline);
    }
    sections::method(&mut body, document);
    let _ = write!(body, "<div id=\"tip\" role=\"status\" hidden></div>\n<script>{SCRIPT}</script>");
    page::page(harness::lang::Lang::En, "What each way to serve costs", &body)
}

/// All servers, each with its look and a box that shows or hides it in every chart.
fn legend(body: &mut String, cast: &Cast<'_>) {
    body.push_str("<fieldset class=\"legend\"><legend>Show&ensp;</legend>");
    for (index, (id, look)) in cast.ids.iter().zip(&cast.looks).enumerate() {
        let _ = write!(
            body,
            "<label><input type=\"checkbox\" id=\"t{index}\" checked>\
             <svg viewBox=\"0 0 26 14\" aria-hidden=\"true\"><g class=\"s{index}\"><path class=\"line s{index}\" d=\"M0 7H26\"/>\
             <path class=\"mark\" d=\"{}\"/></g></svg>{}</label>",
            look.marker.path(13.0, 7.0),
            escape(id)
        );
    }
    body.push_str("</fieldset>\n");
}
